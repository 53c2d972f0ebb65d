"""Begin a thing of one's own: packages that neuroanp finds by name, and configs that say all that can be said."""

from neuroanp.scaffolding.configs import new_config
from neuroanp.scaffolding.packages import KINDS, Made, new_package

__all__ = ["KINDS", "Made", "new_config", "new_package"]
