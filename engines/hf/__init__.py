"""Our HuggingFace engine server; the only place torch and transformers are imported."""
