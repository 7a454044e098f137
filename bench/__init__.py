"""Quality, speed and memory, measured by one command each: ``python -m bench quality speed``."""
