"""A figure that a notebook shows once, whether it is the cell's value, is left open, or both."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure


class ShownOnce(Figure):
    """A figure of pyplot that closes as a notebook shows it.

    A notebook shows the value of a cell's last line, and then every figure that pyplot still has open: a figure that is
    both would be there twice. In a script `plt.show()` shows it as any other.
    """

    def _ipython_display_(self) -> None:
        import matplotlib.pyplot as plt
        from IPython.display import Image, display  # pyright: ignore[reportMissingImports] - it is IPython that calls

        plt.close(self)
        display(Image(data=self.png(), format="png"))

    def png(self, **options: Any) -> bytes:
        """Return the figure as a PNG file."""
        page = BytesIO()
        self.savefig(page, format="png", **options)
        return page.getvalue()
