"""The demo model: a tiny Llama made here that knows only this console. Text, training, evaluation, weights."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
SERVED_MODEL = "demo"
