"""Where a scenario is played, and what it can tell of it.

- `stage`: what every stage offers, and `NotOffered` for what only some do;
- `loop`: the production actors on virtual time; `wire`: the same over a real wire; `inner`: the pure cores;
- `facts`: the truth of a stage, with an accessor for each kind of thing; `outcomes`: what journals tell;
- `names`: which process a name means; `troubles`: faults as people call them; `cuts`: links that are cut;
- `gate`: commands that an actor is to refuse; `hold`: a process that stands still at a point until it is let go.
"""
