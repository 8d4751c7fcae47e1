"""Who somebody is here whom an OpenID Connect provider has told of."""

from __future__ import annotations

from forewarn_collector.api.callers import Caller
from forewarn_collector.config_oidc import OidcConfig
from forewarn_collector.config_tokens import Role
from forewarn_collector.web.oidc import Claims, OidcError, claim_of

_NAMES = ("preferred_username", "email", "name", "sub")
_ALL = "*"
_BY_POWER = (Role.ADMIN, Role.OPERATOR, Role.VIEWER)


def caller_for(config: OidcConfig, claims: Claims) -> Caller:
    """The caller. Raises OidcError where they have no role here, or it is not said whose they are.

    An admin sees all customers, whatever the claim.
    """
    person = next(str(claims[name]) for name in _NAMES if claims.get(name))
    given = claim_of(claims, config.roles_claim)
    values = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    roles = {
        config.roles[value] for value in values if isinstance(value, str) and value in config.roles
    }
    role = next((role for role in _BY_POWER if role in roles), None)
    if role is None:
        raise OidcError(
            f"{person} may not use this page: no value of the claim {config.roles_claim} has a role"
            " here. Whoever runs the collector can give it one (oidc: roles)."
        )
    return Caller(f"oidc {claims['sub']}", _customer(config, claims, role, person), role, person)


def _customer(config: OidcConfig, claims: Claims, role: Role, person: str) -> str:
    if not config.customer_claim or role is Role.ADMIN:
        return ""
    customer = claim_of(claims, config.customer_claim)
    if not isinstance(customer, str) or not customer:
        raise OidcError(
            f"The provider does not say of which customer {person} is: the claim"
            f" {config.customer_claim} is missing ({_ALL} is for all customers)."
        )
    return "" if customer == _ALL else customer
