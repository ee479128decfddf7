"""Published versions in the formats of others."""
