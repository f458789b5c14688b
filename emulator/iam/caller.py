"""The caller of the API: by default he may everything; with a policy, what it allows, and refused in AWS's own words.

    curl -X POST $AWS_ENDPOINT_URL/_emulator/caller -d '{"policy": {"Version": "2012-10-17", "Statement": [...]}}'

Several policies may come as a list, as of a user who has several; {"policy": null} lets him do everything again. In the
same way {"scp": ...} is what the organisation allows its accounts, whatever their policies say, and {"role": NAME} lets him
be who has taken on a role that is there; null undoes either.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from emulator.core import partitions, rules
from emulator.core.doors import Json, door
from emulator.core.faults import worded
from emulator.core.implied import ROLES, implied
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.wire import Emulator
from emulator.core.world import ACCOUNT, World
from emulator.iam import requests, roles, s3_requests
from emulator.iam.conditions import Context, several
from emulator.iam.policies import Decision, decide, decide_for_role, refusal


def user() -> str:
    return f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator"


def identity(world: World) -> str:
    """Who calls, as STS tells it: a session has the role's name, and not its path."""
    role = world.state["caller"].get("role")
    return f"arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role}/emulator" if role else user()


def _is_caller(world: World, arn: str) -> bool:
    """Whether policies of this user, or this role, are the caller's."""
    role = roles.find_role(world.state["caller"].get("role") or "")
    return arn == (str(role.arn) if role is not None else user())


EVERYTHING = [{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}]
SCP_DENY = "with an explicit deny in a service control policy"
NO_SCP = "because no service control policy allows the {action} action"
#: services whose tagging action can be allowed at a creation alone
CREATE_ACTION = ("ec2", "ecs", "elasticfilesystem", "elasticloadbalancing")
#: whoever signs may ask who he is
ALWAYS = ("sts:GetCallerIdentity",)
#: a call that is the first of its kind in an account -> the service whose role it makes
LINKED = {
    ("ecs", "CreateCluster"): "ecs.amazonaws.com",
    ("autoscaling", "CreateAutoScalingGroup"): "autoscaling.amazonaws.com",
    ("elbv2", "CreateLoadBalancer"): "elasticloadbalancing.amazonaws.com",
    ("efs", "CreateFileSystem"): "elasticfilesystem.amazonaws.com",
    ("application-autoscaling", "RegisterScalableTarget"): "ecs.application-autoscaling.amazonaws.com",
}
#: the service to which a call hands a role over
PASSED_TO = {
    "ecs": "ecs-tasks.amazonaws.com",
    "codebuild": "codebuild.amazonaws.com",
    "codepipeline": "codepipeline.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
}

rules.SENTENCES["iam-scp"] = (
    "What an SCP of the organisation does not allow is refused whatever the policies say; the simulation knows SCPs too, but "
    "for statements with conditions."
)
held("iam-011 iam-scp tag-004 tag-005", "iam.caller: the policy of /_emulator/caller")


def policies(world: World) -> list[Any] | None:
    """The caller's; None: he may everything."""
    found: list[Any] | None = world.state["caller"].get("policies")
    return found


def scps(world: World) -> list[Any] | None:
    """What the organisation allows; None: there is no organisation."""
    found: list[Any] | None = world.state["caller"].get("scps")
    return found


def judge(world: World, action: str, arn: str, context: Context, scp: list[Any] | None) -> Decision:
    """By the organisation first, then by the caller's own policies."""
    if scp is not None and not (decision := decide(action, arn, context, identity=scp, principal=user())):
        denied = decision.effect == "explicitDeny"
        return Decision(decision.effect, SCP_DENY if denied else NO_SCP.format(action=action))
    allowed = policies(world)
    return decide(action, arn, context, identity=EVERYTHING if allowed is None else allowed, principal=user())


@door("GET", "/_emulator/caller")
def _show(emulator: Emulator, given: Json) -> Json:
    """Who calls, and the policies that limit him."""
    world = emulator.world
    organisation = {} if scps(world) is None else {"scp": scps(world)}
    return {"arn": identity(world), "policy": policies(world), **organisation}


@door("POST", "/_emulator/caller")
def _limit(emulator: Emulator, given: Json) -> Json:
    """The caller may do what a policy allows, and nothing else: {"policy": {"Statement": [...]}}; null: everything again."""
    state = emulator.world.state["caller"]
    if given.get("role") and roles.find_role(given["role"]) is None:
        raise ValueError(f"there is no role {given['role']}")
    for name, key in (("policy", "policies"), ("scp", "scps")):
        if name in given:
            state[key] = None if given[name] is None else _documents(given[name])
    if "role" in given:
        state["role"] = given["role"]
    shown: Json = _show(emulator, given)
    return shown


def _documents(wanted: Any) -> list[Any]:
    found = [json.loads(each) if isinstance(each, str) else each for each in several(wanted)]
    for each in found:
        statements = several(each["Statement"])
        if not all({"Effect"} < {*statement} and statement["Effect"] in ("Allow", "Deny") for statement in statements):
            raise ValueError("MalformedPolicyDocument: each statement needs an Effect, Allow or Deny, and an Action")
    return found


def guard(call: Call, request: Any = None) -> None:
    """Refuse a call whose action, or another that it implies, the caller's policy does not allow."""
    if policies(call.world) is None and scps(call.world) is None:
        return
    for action, arn, context in _asked(call, request):
        demand(call, action, arn, context)


def demand(call: Call, action: str, arn: str, context: Context) -> None:
    """Refuse a call for whose sake the caller needs this right, and does not have it."""
    allowed, organisation = policies(call.world), scps(call.world)
    if (allowed is None and organisation is None) or action in ALWAYS:
        return
    tags = requests.resource_tags(call, arn) if "ResourceTag" in json.dumps([allowed, organisation]) else {}
    decision = judge(call.world, action, arn, {**context, **tags}, organisation)
    if not decision:
        raise _refused(call, decision, action, arn)


rules.GUARDS.append(guard)


def _refused(call: Call, decision: Decision, action: str, arn: str) -> AwsError:
    code, status, message = worded(call, "denied", action)
    told = refusal(decision, identity(call.world), action, arn)
    if call.service == "ec2":
        encoded = base64.b64encode(json.dumps({"action": action, "resource": arn}).encode()).decode()
        told = f"{message.partition('User: ')[0]}{told}. Encoded authorization failure message: {encoded}"
    return AwsError(code, told, status)


Asked = tuple[str, str, Context]
#: of a call that hands over roles which it does not name itself: where they are named
PASSING: dict[tuple[str, str], Callable[[Call], list[Params]]] = {}


def _nothing_more(call: Call) -> list[Params]:
    return []


def _asked(call: Call, request: Any) -> Iterator[Asked]:
    """Action, resource and context of all that a call needs to be allowed."""
    context, arns = requests.context_of(call, user()), requests.resources_of(call, request)
    own = requests.action_of(call, request)
    if call.operation == "CreateServiceLinkedRole":
        context["iam:AWSServiceName"] = call.params["AWSServiceName"]
    if call.operation == "RunInstances":
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html#amazonec2-policy-keys
        market = (call.params.get("InstanceMarketOptions") or {}).get("MarketType") or "on-demand"
        context |= {"ec2:InstanceType": call.params.get("InstanceType") or "", "ec2:InstanceMarketType": market}
    of_what_stands = {
        key: text for key, text in context.items() if not key.startswith(("aws:RequestTag/", "aws:TagKeys"))
    }
    made = requests.made_by(call, arns) if call.service == "ec2" and own != "ec2:CreateTags" else arns
    for arn in arns:
        yield own, arn, context if arn in made else of_what_stands
    if own == "s3:CreateBucket" and (tags := s3_requests.tags(request)):
        yield "s3:TagResource", arns[0], {**context, **{f"aws:RequestTag/{key}": text for key, text in tags.items()}}
    for action in sorted(implied(call) - {"iam:PassRole"}):
        yield from _besides(call, requests.full_action(action), arns, context)
    for arn, service in _passed(call):
        yield "iam:PassRole", arn, {**context, "iam:PassedToService": service}
    service = LINKED.get((call.service, call.operation), "")
    roles.plant_linked_roles(call.world)
    if service and roles.find_role(roles.LINKED[service]) is None:
        linked = {**context, "iam:AWSServiceName": service}
        yield "iam:CreateServiceLinkedRole", requests.linked_role_arn(service), linked


def _besides(call: Call, action: str, arns: list[str], context: Context) -> Iterator[Asked]:
    """An action that a call implies: tags, of what is made; or what another service does in the caller's name."""
    prefix = action.partition(":")[0]
    created = {f"{prefix}:CreateAction": call.operation} if prefix in CREATE_ACTION else {}
    if action == "ec2:RunInstances" and call.service == "autoscaling":
        started, template = requests.started_by(call)
        for arn in started:
            of_template = {} if arn == template else {"ec2:LaunchTemplate": template}
            yield action, arn, {**context, **of_template, "ec2:IsLaunchTemplateResource": "true"}
        if requests.tags_of_template(call, template) and call.operation != "LaunchInstances":
            yield from _besides(call, "ec2:CreateTags", arns, context)
    elif "Tag" not in action:
        yield action, "*" if ":Describe" in action else requests.anything(call, prefix), context
    elif prefix == "ec2" and call.service == "autoscaling":
        put = requests.tags_of_template(call, requests.started_by(call)[1])
        launched = {"ec2:CreateAction": "RunInstances", **{f"aws:RequestTag/{key}": text for key, text in put.items()}}
        yield action, requests.launched(call), {**context, **launched}
    elif prefix == "autoscaling" and call.service == "ecs":
        named = call.params["autoScalingGroupProvider"]["autoScalingGroupArn"].rpartition("/")[2]
        group = call.world.state["autoscaling"].get(call.region, {}).get(named)
        yield (
            action,
            group.arn if group is not None else "*",
            {key: text for key, text in context.items() if not key.startswith("aws:RequestTag/")},
        )
    else:
        for arn in requests.made_by(call, arns):
            yield action, arn, {**context, **created}


def _passed(call: Call) -> Iterator[tuple[str, str]]:
    """The roles that a call hands over, and to which service; a task definition's when it is run."""
    if call.service == "iam":
        if call.operation == "AddRoleToInstanceProfile":
            yield _role_arn(call.params["RoleName"]), "ec2.amazonaws.com"
        return
    if call.operation.startswith("CreateLaunchTemplate"):
        return  # only what starts instances from it does
    inner = [value for value in call.params.values() if isinstance(value, dict)]
    more = PASSING.get((call.service, call.operation), _nothing_more)(call)
    for given in (call.params, *inner, *more):
        for name in ROLES:
            for text in several(given.get(name)):
                if found := _role_arn(text):
                    yield found, "ec2.amazonaws.com" if "nstanceProfile" in name else PASSED_TO.get(call.service, "")


def _role_arn(named: Any) -> str:
    """Of a role, or of the role in an instance profile, by name or ARN."""
    text = str(named.get("Arn") or named.get("Name") or "") if isinstance(named, dict) else str(named)
    if ":role/" in text:
        return text
    profile = roles.find_profile(text)
    role = profile.roles[0] if profile is not None and profile.roles else roles.find_role(text)
    return str(role.arn) if role is not None else ""


@on("iam", "SimulatePrincipalPolicy", rules="iam-011")
def simulate_principal_policy(call: Call) -> Params:
    """What the policies of a role, or of the caller himself, say of actions, without doing any. moto has no such call."""
    source, context = call.params["PolicySourceArn"], _entries(call.params.get("ContextEntries") or [])
    own = _is_caller(call.world, source)
    role = None if own else roles.existing_role(source)
    organisation = _without_conditions(scps(call.world)) if own else None
    results = []
    for action in call.params["ActionNames"]:
        for resource in call.params.get("ResourceArns") or ["*"]:
            if role is not None:
                decision = decide_for_role(role.name, action, resource, context)
            else:
                decision = judge(call.world, action, resource, context, organisation)
            told = {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision.effect}
            if organisation is not None:
                allowed = bool(decide(action, resource, context, identity=organisation))
                told["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": allowed}
            results.append({**told, "MatchedStatements": [], "MissingContextValues": []})
    return _page(call, results)


def _page(call: Call, results: list[Params]) -> Params:
    """A hundred at a time, and the way to the next."""
    start, count = int(call.params.get("Marker") or 0), int(call.params.get("MaxItems") or 100)
    more = start + count < len(results)
    way = {"IsTruncated": more, **({"Marker": str(start + count)} if more else {})}
    return {"EvaluationResults": results[start : start + count], **way}


def _without_conditions(documents: list[Any] | None) -> list[Any] | None:
    if documents is None:
        return None
    return [
        {**each, "Statement": [one for one in several(each["Statement"]) if "Condition" not in one]}
        for each in documents
    ]


def _entries(given: list[Params]) -> Context:
    return {each["ContextKeyName"].lower(): each["ContextKeyValues"] for each in given}
