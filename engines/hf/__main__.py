"""`python -m engines.hf --model PATH`: the engine server without Django."""

import sys

from engines.hf.runner import main

sys.exit(main())
