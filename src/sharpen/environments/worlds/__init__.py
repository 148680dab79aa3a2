"""Environments of papers, at a size at which what they claim can be looked at: each a class of the contract, from a seed.

A class may have `solution(task)`, what a perfect model would say turn by turn, for warm-ups and imitation.
"""
