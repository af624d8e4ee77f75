"""A model without training: how like a moment is to a few words an expression, by encoders of two kinds of input."""
