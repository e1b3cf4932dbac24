"""The inner level: the pure cores of cellferry on a heap and dicts, for volume.

- `agenda`, `processes`: virtual time, and what crashes and stands still;
- `memory`, `rows`, `journals`: what the stores of the outer level keep, on dicts;
- `network`: messages, hop by hop, and all that goes wrong with them;
- `actors`, `partners`, `hosts`, `hypervisor`: the participants; `gathering`: broadcasts;
- `conductor`, `users`: those who set them to work;
- `world`, `troubles`, `running`: a whole deployment, what befalls it, and a case run in it.
"""
