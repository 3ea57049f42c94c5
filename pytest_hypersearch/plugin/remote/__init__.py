"""Workers on other machines: pytest-xdist's own, over pipes that launchers open."""
