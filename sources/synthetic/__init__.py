"""The simulated business: a generative model of a shop, delivered under the raw contracts like any other source.

Everything that makes up the world lives here, its planted truth included. Nothing here knows how raw is stored or
what is computed from it.
"""

from sources.synthetic.source import SyntheticSource

__all__ = ["SyntheticSource"]
