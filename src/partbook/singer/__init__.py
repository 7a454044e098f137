"""The differentiable singer: controls that a network draws from a mixture, and the voices that they make."""
