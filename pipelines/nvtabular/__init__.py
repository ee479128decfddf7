"""Workflows that NVTabular saved, as pipelines of headrace."""
