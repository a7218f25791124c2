"""Every hold of every device, its causes and its budget (I28)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from drone_sim.checker.budgets import BUDGETS, Cause, Terms, terms_of
from drone_sim.checker.truth import Truth
from drone_sim.result import Hold
from orchestrator.protocol.types import DeviceId


@dataclass(slots=True, kw_only=True)
class _Account:
    """
    What a device may hold for, and the hold that it is in.

    ``in_force`` counts the causes that last, ``since_s`` is when each began; ``until_s`` is, for
    each that has ended, until when it excuses a hold. ``began_s`` is ``None`` while the device
    aims, and before it first has.
    """

    in_force: dict[Cause, int] = field(default_factory=dict)
    since_s: dict[Cause, float] = field(default_factory=dict)
    until_s: dict[Cause, float] = field(default_factory=dict)
    began_s: float | None = None
    causes: dict[Cause, None] = field(default_factory=dict)
    aimed: bool = False
    aims: bool = False
    blamed: bool = False

    def excused_by(self, cause: Cause, now_s: float) -> bool:
        """Whether a cause is in force, or its recovery runs."""
        return cause in self.in_force or self.until_s.get(cause, -math.inf) > now_s


class Holds:
    """
    Keeps the accounts. Causes begin, end or strike; controllers aim or do not.

    ``done`` are the holds that are over, in the order of their ends.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._terms = terms_of(truth.scenario)
        self._accounts: dict[DeviceId, _Account] = {}
        self._due_s: float | None = math.inf
        """When the next hold will have lasted too long; ``None``: to be found out."""
        self.done: list[Hold] = []

    def terms(self, amount: float = 0.0, lasted_s: float = math.inf) -> Terms:
        """Return the terms of this scenario for a fault of this amount that lasted so long."""
        return replace(self._terms, amount=amount, lasted_s=lasted_s)

    def account(self, device: DeviceId) -> _Account:
        """Return the account of a device."""
        return self._accounts.setdefault(device, _Account())

    def holding(self, device: DeviceId) -> bool:
        """Whether a device that has once aimed does not aim now."""
        return self.account(device).began_s is not None

    # --- causes ---------------------------------------------------------------------------------

    def begin(self, cause: Cause, devices: Iterable[DeviceId]) -> None:
        """Let a cause be in force, once more, until as many times ended."""
        for device in devices:
            account = self.account(device)
            account.in_force[cause] = account.in_force.get(cause, 0) + 1
            account.since_s.setdefault(cause, self._truth.now_s)
            self._blame_on(account, cause)

    def end(self, cause: Cause, devices: Iterable[DeviceId], amount: float = 0.0) -> None:
        """Let a cause be over: from now on its recovery runs."""
        now_s = self._truth.now_s
        for device in devices:
            account = self.account(device)
            left = account.in_force.get(cause, 0) - 1
            account.in_force[cause] = left
            lasted_s = now_s - account.since_s.get(cause, now_s)
            if left <= 0:
                del account.in_force[cause]
                account.since_s.pop(cause, None)
            self._excuse(account, cause, now_s, self.terms(amount, lasted_s))

    def strike(
        self, cause: Cause, devices: Iterable[DeviceId], *, at_s: float | None = None
    ) -> None:
        """Let a cause be there for an instant, now or at ``at_s``."""
        for device in devices:
            when_s = self._truth.now_s if at_s is None else at_s
            self._excuse(self.account(device), cause, when_s, self._terms)

    def shorten(self, cause: Cause, devices: Iterable[DeviceId], by: Cause) -> None:
        """Let a cause excuse for no longer than another one that ends now."""
        until_s = self._truth.now_s + BUDGETS[by].recovery_s(self._terms)
        for device in devices:
            account = self.account(device)
            if cause in account.until_s:
                account.until_s[cause] = min(account.until_s[cause], until_s)
                self._due_s = None

    def _excuse(self, account: _Account, cause: Cause, ended_s: float, terms: Terms) -> None:
        budget = BUDGETS[cause]
        if budget.waits and account.aims:
            return
        until_s = ended_s + budget.recovery_s(terms)
        account.until_s[cause] = max(until_s, account.until_s.get(cause, -math.inf))
        self._blame_on(account, cause)

    def _blame_on(self, account: _Account, cause: Cause) -> None:
        if account.began_s is not None:
            account.causes[cause] = None
            self._due_s = None

    # --- controllers ----------------------------------------------------------------------------

    def aims(self, device: DeviceId, *, aims: bool) -> None:
        """Take whether a controller aims now."""
        account = self.account(device)
        if account.aims == aims:
            return
        account.aims = aims
        if aims:
            self._finish(device, account)
            account.aimed = True
        elif account.aimed:
            self._start(account)

    def leave(self, device: DeviceId) -> None:
        """Take that a device is out for good: it need not aim any more."""
        account = self.account(device)
        self._finish(device, account)
        account.aimed = account.aims = False

    def _start(self, account: _Account) -> None:
        now_s = self._truth.now_s
        account.began_s, account.blamed, self._due_s = now_s, False, None
        account.until_s = {
            cause: until_s for cause, until_s in account.until_s.items() if until_s > now_s
        }
        account.causes = dict.fromkeys((*account.in_force, *account.until_s))

    def _finish(self, device: DeviceId, account: _Account) -> None:
        if account.began_s is not None:
            self.done.append(self._hold(device, account, account.began_s))
            account.began_s, self._due_s = None, None

    def _hold(self, device: DeviceId, account: _Account, began_s: float) -> Hold:
        now_s, until_s = self._truth.now_s, self._until_s(account, began_s)
        if math.isinf(until_s):  # in force to the end: what it may yet need is its budget
            recoveries = [BUDGETS[one].recovery_s(self._terms) for one in account.in_force]
            until_s = now_s + max(recoveries)
        return Hold(
            device=device,
            began_s=began_s,
            lasted_s=now_s - began_s,
            causes=tuple(sorted(map(str, account.causes))),
            budget_s=until_s - began_s,
        )

    def _until_s(self, account: _Account, began_s: float) -> float:
        """Return until when a hold is within its budget."""
        if account.in_force:
            return math.inf
        return max((began_s + self._terms.healthy_s, *account.until_s.values()))

    # --- looking --------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask I28 of every device that holds now."""
        if self._due_s is not None and self._truth.now_s <= self._due_s:
            return
        self._due_s = math.inf
        for device, account in self._accounts.items():
            if account.began_s is None or account.blamed:
                continue
            until_s = self._until_s(account, account.began_s)
            self._due_s = min(self._due_s, until_s)
            if self._truth.now_s > until_s:
                account.blamed = True
                self._blame(self._hold(device, account, account.began_s))

    def _blame(self, hold: Hold) -> None:
        why = ", ".join(hold.causes) or "no fault"
        text = f"{hold.device} has held for {hold.lasted_s:.2f} s, {hold.budget_s:.2f} s were"
        self._truth.blame("I28", f"{text} allowed ({why})")

    def all(self) -> tuple[Hold, ...]:
        """Return every hold, those that last with what they have lasted."""
        lasting = [
            self._hold(device, account, account.began_s)
            for device, account in self._accounts.items()
            if account.began_s is not None
        ]
        return (*self.done, *lasting)
