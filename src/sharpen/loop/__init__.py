"""The program: warm-up, then rounds of steps, each measured and kept, gone on from or rolled back.

loop.py reads from top to bottom; step.py is one step (sampling_step.py chooses and rolls out, learning.py learns, offers.py
lists what functions may ask for), session.py what a run is made of (request.py: what was asked for; opening.py: put together;
needed.py: what it needs of others), telling.py how its model is asked, sizing.py what a brought model gets, looking.py the look
at it before that, warmup.py the start, stages.py the way from one stage to the next, baseline.py the look before the first
step, evaluation.py a model outside a run, searching.py the same with a search, difficulty.py how hard tasks are for it;
growing.py is growth between rounds, asked_growth.py outside of a run. due.py says when a commit is due; resuming.py is what is
looked at before a run goes on: inputs.py what it was made of, trust.py whose it is. processor.py: which way it takes there;
profiling.py: where the time of a recipe's steps goes. afar.py: a run whose student is answered for by engines elsewhere,
ahead.py one whose rollouts are ahead of its learner. retention.py watches what is not practised, reckoning.py says what the run
can know of itself, adapting.py lets numbers follow it, deciding.py takes in what people decided, worked.py chooses worked
solutions, referring.py what is compared with, lasting.py what stages hand on.

May import: terminal, workers, environments, verify.code, verify, tasks, audit, data, objectives, models.engine, models,
rollouts, guard, store, engines, curriculum, recipes.
"""

from sharpen.loop import afar, again, asked_growth, revising, session, telling, trust
from sharpen.loop.difficulty import difficulty
from sharpen.loop.evaluation import ask, evaluate_model
from sharpen.loop.loop import build_recipe, resume, start
from sharpen.loop.profiling import profile
from sharpen.loop.searching import measure_searches
from sharpen.loop.session import WORK, Request
from sharpen.loop.sizing import brought, fitted
from sharpen.loop.warmup import beginning, signature

__all__ = [
    "Request",
    "WORK",
    "afar",
    "asked_growth",
    "again",
    "ask",
    "beginning",
    "brought",
    "build_recipe",
    "difficulty",
    "evaluate_model",
    "fitted",
    "measure_searches",
    "profile",
    "resume",
    "revising",
    "session",
    "signature",
    "start",
    "telling",
    "trust",
]
