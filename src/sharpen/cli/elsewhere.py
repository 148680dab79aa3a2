"""Options that other programs have, and what they are called here: the hint behind "No such option"."""

from __future__ import annotations

from collections.abc import Collection

MEANT = {
    "--run-dir": "--out --output --output-dir --outdir --out-dir --save-dir --log-dir --logdir --dir --name",
    "--budget": "--steps --max-steps --num-steps --time --hours --minutes --epochs --iterations",
    "--model": "--student --base --base-model --checkpoint --policy --model-path --model-name",
    "--tasks": "--data --dataset --data-path --train-file --task --file",
    "-n": "--limit --num --count --num-samples --max-samples --number",
}
SETTINGS = {
    "--learning-rate": "lr",
    "--batch-size": "prompts",
    "--max-new-tokens": "max_tokens",
    "--num-generations": "samples",
}
SETTINGS |= {"--lora-rank": "lora", "--max-length": "max_tokens", "--rollouts": "samples"}


def hint(option: str, known: Collection[str], settings: Collection[str]) -> str:
    """What somebody who typed an option that there is not may have meant; "" where nobody can tell.

    known     the options of the command
    settings  the names that --set takes, of any recipe
    """
    if option in known:
        return ""
    meant = next((name for name, others in MEANT.items() if name in known and option in others.split()), "")
    if meant:
        return f"It is {meant} here."
    name = SETTINGS.get(option, option.lstrip("-").replace("-", "_"))
    return f"It is a setting here: --set {name}=…" if "--set" in known and name in settings else ""
