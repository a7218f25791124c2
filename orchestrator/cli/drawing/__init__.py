"""
Figures of aim, drawn with matplotlib, which is named in this package alone.

It is an extra of the installation, so whoever wants a figure imports :mod:`.figure` where the
figure is asked for. Nothing of pyplot is used, and nothing of a user's own style: the same
command makes the same bytes.
"""
