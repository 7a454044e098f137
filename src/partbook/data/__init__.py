"""Ensembles of our own making: scores, singers, players and halls, with the truth about every part."""
