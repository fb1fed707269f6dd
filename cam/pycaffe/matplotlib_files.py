"""A backend of Matplotlib whose windows are files; `cam.pycaffe.windows` says where."""

from __future__ import annotations

from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cam.pycaffe.windows import WindowFiles

__all__ = ["FigureCanvas", "FigureManager"]


class FigureManager(FigureManagerBase):
    """A figure's window, which is a file as soon as it is shown."""

    def __init__(self, canvas: Any, num: int | str) -> None:
        super().__init__(canvas, num)
        self._title = f"Figure {num}"

    def get_window_title(self) -> str:
        """Return what stands above the window."""
        return self._title

    def set_window_title(self, title: str) -> None:
        """Set what stands above the window, and what its file is called."""
        self._title = title

    def show(self) -> None:
        """Write the figure."""
        if WindowFiles.current is not None:
            WindowFiles.current.save_figure(self._title, self.canvas.figure)

    @classmethod
    def pyplot_show(cls, *, block: bool | None = None) -> None:
        """Write all figures; where that would wait until they are closed, close them."""
        for manager in Gcf.get_all_fig_managers():
            manager.show()
        if block is not False:
            Gcf.destroy_all()


class FigureCanvas(FigureCanvasAgg):
    """A figure drawn by Agg."""

    manager_class = FigureManager
