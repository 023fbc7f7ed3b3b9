"""What an engine is and how to talk to it; knows nothing above."""
