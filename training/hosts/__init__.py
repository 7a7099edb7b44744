"""A job on several machines: who they are, what they tell each other, and how one that ends takes the rest along.

place   which host this is, from resourceconfig.json
link    one connection of each host to the first: they meet on it, and notice on it that another is gone
group   sums, flags and files that go through xgboost.collective
"""

from training.hosts.group import Alone, Hosts, together
from training.hosts.place import Place

__all__ = ["Alone", "Hosts", "Place", "together"]
