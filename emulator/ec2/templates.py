"""Launch templates: stored and numbered, their contents never checked before something is launched from them.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-launch-templates.html
"""

from __future__ import annotations

import base64
import re
from typing import Any

from emulator.core import partitions
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2.region import (
    Item,
    by_keys,
    drop_tags,
    hide,
    new_id,
    not_found,
    once,
    page,
    region_of,
    remember,
    select,
    set_tags,
    specified_tags,
    tags_of,
)

SENTENCES.update(
    {
        "ec2-028": "The name of a launch template is unique in its region, unless the same client token asks again.",
        "ec2-029": "A launch template stores any image, profile, key, group or subnet; they are looked at on launch.",
    }
)

NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")


def find(world: World, region: str, spec: Item) -> Item:
    """A launch template by LaunchTemplateId or LaunchTemplateName."""
    templates, hidden = region_of(world, region).templates, region_of(world, region).hidden
    identifier, name = spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName")
    if identifier and name:
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter launchTemplateId cannot be used with the parameter launchTemplateName",
        )
    if identifier:
        if not re.fullmatch(r"lt-[0-9a-f]+", identifier):
            raise AwsError("InvalidLaunchTemplateId.Malformed", f'Invalid id: "{identifier}" (expecting "lt-...")')
        if identifier not in templates or identifier in hidden:
            raise not_found(identifier, "lt")
        return templates[identifier]
    if not name:
        raise AwsError("MissingParameter", "You must specify either a launch template ID or a launch template name.")
    for template in templates.values():
        if template["LaunchTemplateName"] == name and template["LaunchTemplateId"] not in hidden:
            return template
    raise AwsError(
        "InvalidLaunchTemplateName.NotFoundException",
        f"The specified launch template, with template name {name}, does not exist.",
    )


def find_version(template: Item, version: Any = None) -> Item:
    """One version of a template: a number, $Latest, or $Default (also when none is named)."""
    number = str(version or "$Default")
    if number == "$Latest":
        number = str(template["LatestVersionNumber"])
    elif number == "$Default":
        number = str(template["DefaultVersionNumber"])
    if not number.isdigit():
        raise AwsError("InvalidLaunchTemplateId.VersionNotFound", f"Invalid launch template version: {version}.")
    found: Item | None = template["Versions"].get(int(number))
    if found is None:
        raise AwsError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find launch template version {number} for launch template {template['LaunchTemplateId']}.",
        )
    return found


def resolve(world: World, region: str, spec: Item) -> Item:
    """The version that a launch template specification means at this moment."""
    return find_version(find(world, region, spec), spec.get("Version"))


def shown(region: str, template: Item) -> Item:
    names = ("LaunchTemplateId", "LaunchTemplateName", "CreateTime", "CreatedBy")
    numbers = ("DefaultVersionNumber", "LatestVersionNumber")
    return {
        **{name: template[name] for name in (*names, *numbers)},
        "Tags": tags_of(region, template["LaunchTemplateId"]),
    }


def version_shown(template: Item, version: Item) -> Item:
    return {**version, "DefaultVersion": version["VersionNumber"] == template["DefaultVersionNumber"]}


def add_version(world: World, template: Item, data: Item, description: str | None) -> Item:
    check_user_data(data, "InvalidUserData.Malformed")
    number = max(template["Versions"], default=0) + 1
    template["LatestVersionNumber"] = number
    template["Versions"][number] = {
        "LaunchTemplateId": template["LaunchTemplateId"],
        "LaunchTemplateName": template["LaunchTemplateName"],
        "VersionNumber": number,
        **({"VersionDescription": description} if description else {}),
        "CreateTime": world.timestamp(),
        "CreatedBy": f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator",
        "LaunchTemplateData": dict(data),
    }
    version: Item = template["Versions"][number]
    return version


def check_user_data(data: Item, too_long: str = "InvalidParameterValue") -> None:
    """The one thing that is looked at: user data comes base64-encoded, and is small. `too_long`: the code of that, which is
    another one for launch templates: https://github.com/github-aws-runners/terraform-aws-github-runner/issues/3700"""
    given = data.get("UserData")
    if not given:
        return
    try:
        text = base64.b64decode(given, validate=True)
    except ValueError:
        raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(text) > 16384:
        raise AwsError(too_long, "User data is limited to 16384 bytes")


@on("ec2", "CreateLaunchTemplate", rules="ec2-028 ec2-029 sdk-005")
def create_launch_template(call: Call) -> Item:
    world, region, params = call.world, call.region, call.params
    name = params.get("LaunchTemplateName") or ""
    if not NAME.fullmatch(name):
        raise AwsError(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, "
            "and the following characters: - ( ) . / _.",
        )
    if not params.get("LaunchTemplateData"):
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    templates = region_of(world, region).templates
    if known := templates.get(once(world, region, "CreateLaunchTemplate", params) or ""):
        return {"LaunchTemplate": shown(region, known)}
    if any(one["LaunchTemplateName"] == name for one in templates.values()):
        raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    template: Item = {
        "LaunchTemplateId": new_id("lt"),
        "LaunchTemplateName": name,
        "CreateTime": world.timestamp(),
        "CreatedBy": f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator",
        "DefaultVersionNumber": 1,
        "Versions": {},
    }
    add_version(world, template, params["LaunchTemplateData"], params.get("VersionDescription"))
    identifier = template["LaunchTemplateId"]
    templates[identifier] = template
    set_tags(region, identifier, specified_tags(params, "launch-template"))
    remember(world, region, "CreateLaunchTemplate", params, identifier)
    hide(world, region, identifier)
    return {"LaunchTemplate": shown(region, template)}


@on("ec2", "CreateLaunchTemplateVersion")
def create_launch_template_version(call: Call) -> Item:
    """A further version, on top of SourceVersion where one is named; the default stays what it is."""
    template = find(call.world, call.region, call.params)
    if known := once(call.world, call.region, "CreateLaunchTemplateVersion", call.params):
        return {"LaunchTemplateVersion": version_shown(template, template["Versions"][known])}
    source = call.params.get("SourceVersion")
    base = find_version(template, source)["LaunchTemplateData"] if source else {}
    data = {**base, **call.params["LaunchTemplateData"]}
    version = add_version(call.world, template, data, call.params.get("VersionDescription"))
    remember(call.world, call.region, "CreateLaunchTemplateVersion", call.params, version["VersionNumber"])
    return {"LaunchTemplateVersion": version_shown(template, version)}


@on("ec2", "ModifyLaunchTemplate")
def modify_launch_template(call: Call) -> Item:
    template = find(call.world, call.region, call.params)
    if wanted := call.params.get("DefaultVersion"):
        template["DefaultVersionNumber"] = find_version(template, wanted)["VersionNumber"]
    return {"LaunchTemplate": shown(call.region, template)}


@on("ec2", "DeleteLaunchTemplate")
def delete_launch_template(call: Call) -> Item:
    template = find(call.world, call.region, call.params)
    answer = {"LaunchTemplate": shown(call.region, template)}
    del region_of(call.world, call.region).templates[template["LaunchTemplateId"]]
    drop_tags(call.region, template["LaunchTemplateId"])
    return answer


@on("ec2", "DeleteLaunchTemplateVersions")
def delete_launch_template_versions(call: Call) -> Item:
    """Versions but not the default one; what can not be deleted is told in the answer."""
    template = find(call.world, call.region, call.params)
    done, refused = [], []
    for wanted in call.params["Versions"]:
        names = {key: template[key] for key in ("LaunchTemplateId", "LaunchTemplateName")}
        try:
            number = find_version(template, wanted)["VersionNumber"]
        except AwsError as error:
            problem = {"Code": "launchTemplateVersionDoesNotExist", "Message": error.message}
            refused.append({**names, "VersionNumber": int(wanted), "ResponseError": problem})
            continue
        if number == template["DefaultVersionNumber"]:
            raise AwsError("OperationNotPermitted", "Cannot delete default version of launch template.")
        del template["Versions"][number]
        template["LatestVersionNumber"] = max(template["Versions"])
        done.append({**names, "VersionNumber": number})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": done,
        "UnsuccessfullyDeletedLaunchTemplateVersions": refused,
    }


@on("ec2", "DescribeLaunchTemplates", rules="ec2-002")
def describe_launch_templates(call: Call) -> Item:
    region = region_of(call.world, call.region)
    if identifiers := call.params.get("LaunchTemplateIds"):
        found = [find(call.world, call.region, {"LaunchTemplateId": one}) for one in identifiers]
    elif names := call.params.get("LaunchTemplateNames"):
        found = [find(call.world, call.region, {"LaunchTemplateName": one}) for one in names]
    else:
        found = [one for key, one in region.templates.items() if key not in region.hidden]
    keys = {"create-time": "CreateTime", "launch-template-name": "LaunchTemplateName"}
    items = select((shown(call.region, one) for one in found), call.params.get("Filters"), by_keys(keys))
    items, token = page(items, call.params, 200)
    return {"LaunchTemplates": items, **({"NextToken": token} if token else {})}


@on("ec2", "DescribeLaunchTemplateVersions")
def describe_launch_template_versions(call: Call) -> Item:
    """The versions of one template, newest first; or $Latest and $Default of all of them."""
    world, region, params = call.world, call.region, call.params
    wanted = params.get("Versions") or []
    if params.get("LaunchTemplateId") or params.get("LaunchTemplateName"):
        template = find(world, region, params)
        if wanted:
            found = [(template, find_version(template, one)) for one in wanted]
        else:
            least, most = int(params.get("MinVersion") or 1), int(params.get("MaxVersion") or 10**9)
            numbers = [number for number in sorted(template["Versions"], reverse=True) if least <= number <= most]
            found = [(template, template["Versions"][number]) for number in numbers]
    elif wanted and set(wanted) <= {"$Latest", "$Default"}:
        templates = region_of(world, region).templates.values()
        found = [(template, find_version(template, one)) for template in templates for one in wanted]
    else:
        raise AwsError(
            "MissingParameter",
            "You must specify either a launch template ID or a launch template name, or the versions $Latest, $Default.",
        )
    seen = {(one["LaunchTemplateId"], one["VersionNumber"]): version_shown(of, one) for of, one in found}
    items, token = page(list(seen.values()), params, 200)
    return {"LaunchTemplateVersions": items, **({"NextToken": token} if token else {})}
