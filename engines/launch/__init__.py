"""Launch profiles: the settings of an engine, checked, digested, rendered as its command line. Pure."""
