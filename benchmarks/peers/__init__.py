"""The same job written by hand with other libraries, each a script that runs as a process of its own."""
