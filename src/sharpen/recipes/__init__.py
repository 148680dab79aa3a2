"""One method, one file; and what finds and checks them.

catalog.py finds recipes and applies --set, validation.py says what can run and teaching.py what can teach, staging.py does all
of it for recipes of several stages, streams.py makes stages of task sets, controls.py makes of a recipe what it is held
against, gallery.py writes docs/recipes.md. brought.py says what a model of the user's own changes.

May import: environments, verify, tasks, data, objectives, models, rollouts, guard, curriculum.
"""

from sharpen.recipes import brought, catalog, controls, gallery, streams
from sharpen.recipes.catalog import build

__all__ = ["brought", "build", "catalog", "controls", "gallery", "streams"]
