"""The commands behind `headrace`, a file each. Nothing heavy is imported before a command runs."""
