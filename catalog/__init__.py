"""What is published: builds, manifests, the commit log, reading and verifying. `publish` in, `open_dataset` out."""
