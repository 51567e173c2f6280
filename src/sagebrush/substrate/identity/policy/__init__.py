"""The policy language: documents, matching, conditions, decisions. Pure functions over values; no store, no clock.

Read ``document.py`` (what a policy is), ``sets.py`` (deciding over one kind of policy, fast) and ``evaluation.py``
(deciding over all kinds together).
"""

from sagebrush.substrate.identity.policy.document import Document, Kind, Statement, malformed, parse_document
from sagebrush.substrate.identity.policy.evaluation import Decision, Layer, Layers, decide, trusts
from sagebrush.substrate.identity.policy.positions import Position, Span, statement_spans
from sagebrush.substrate.identity.policy.principals import Caller, Grant
from sagebrush.substrate.identity.policy.sets import Effect, Explanation, Match, Policy, PolicySet, Source
from sagebrush.substrate.identity.policy.simulation import Simulated, simulate
from sagebrush.substrate.identity.policy.templates import Context

__all__ = [
    "Caller",
    "Context",
    "Decision",
    "Document",
    "Effect",
    "Explanation",
    "Grant",
    "Kind",
    "Layer",
    "Layers",
    "Match",
    "Policy",
    "PolicySet",
    "Position",
    "Simulated",
    "Source",
    "Span",
    "Statement",
    "decide",
    "malformed",
    "parse_document",
    "simulate",
    "statement_spans",
    "trusts",
]
