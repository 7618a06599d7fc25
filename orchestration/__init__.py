"""What runs, in which order, when and with which resources. No maths and no SQL logic."""
