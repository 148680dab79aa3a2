"""Tables of what grows: tasks, what was refused, what was diagnosed, labels that were repaired, those in dispute, and what
people said of them."""

GROWTH = """
CREATE TABLE grown(place INTEGER PRIMARY KEY, round INTEGER NOT NULL, task TEXT NOT NULL UNIQUE, tries INTEGER NOT NULL,
    correct INTEGER NOT NULL);
CREATE TABLE refusals(round INTEGER NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL, example TEXT NOT NULL,
    PRIMARY KEY(round, reason));
CREATE TABLE weaknesses(round INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    failed INTEGER NOT NULL, n INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, shown TEXT NOT NULL,
    PRIMARY KEY(round, place));
CREATE TABLE repairs(place INTEGER PRIMARY KEY, round INTEGER NOT NULL, task TEXT NOT NULL UNIQUE, mended TEXT,
    kind TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE disputes(round INTEGER NOT NULL, task TEXT NOT NULL UNIQUE, reason TEXT NOT NULL, example TEXT NOT NULL);
CREATE TABLE asked(id TEXT PRIMARY KEY, round INTEGER NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, answer TEXT NOT NULL, label TEXT, made TEXT, who TEXT NOT NULL, at REAL NOT NULL);
"""
