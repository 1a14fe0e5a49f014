# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that others can change: what is refused alone, what is left out, and what stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import load
from agent.config.load import ConfigError
from agent.config.settings import Settings
from agent.config.trusted_settings import SWITCH


@pytest.fixture
def main(tmp_path: Path) -> Path:
    for folder in ("probes.d", "conf.d", "library", "cache"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder).chmod(0o755)
    for name in ("a", "b"):
        (tmp_path / f"probes.d/{name}.stp").write_text("probe begin {}")
    path = tmp_path / "stapwatch.yaml"
    path.write_text(
        "script_folders: probes.d\nlibrary: library\nwork_folder: run\ncache_folder: cache\n"
        "state_folder: state\n"
    )
    return path


def problem(main: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load.load(main)
    return str(caught.value).replace(f"{main.parent}/", "")


def refused(settings: Settings) -> dict[str, str]:
    """The scripts that are left out, and why."""
    return {part.script: part.reason for part in settings.refused}


def test_a_script_is_refused_alone(main: Path) -> None:
    script = main.parent / "probes.d/a.stp"
    script.chmod(0o666)
    settings = load.load(main)
    assert refused(settings) == {
        "a": f"config error: {script}: its file is refused: {script} may be written by its group and "
        f"everybody; chmod g-w,o-w {script}; {SWITCH}"
    }
    assert settings.scripts.keys() == {"b"}
    assert refused(load.load(main, insecure_files=True)) == {}
    (main.parent / "conf.d/dev.yaml").write_text("insecure_files: true")
    assert refused(load.load(main)) == {}
    (main.parent / "conf.d/dev.yaml").write_text("scripts: {a: {enabled: false}}")
    assert refused(load.load(main)) == {}, "it is not read"


def test_labels_of_the_host(main: Path) -> None:
    labels = main.parent / "host.yaml"
    labels.write_text("labels: {tier: canary}\n")
    assert load.load(main).host_labels == {"tier": "canary"}
    labels.chmod(0o664)
    assert "; chmod g-w host.yaml; or" in problem(main)
    assert load.load(main, insecure_files=True).host_labels == {"tier": "canary"}


def test_a_variant_of_a_script(main: Path) -> None:
    other = main.parent / "other.stp"
    other.write_text("probe end {}")
    other.chmod(0o646)
    variants = "[{name: x, file: other.stp}, {name: y, file: probes.d/a.stp}]"
    main.write_text(main.read_text() + f"scripts: {{c: {{variants: {variants}}}}}\n")
    found = refused(load.load(main))
    assert found.keys() == {"c"} and f"chmod o-w {other}" in found["c"]


def test_a_folder_that_others_can_add_scripts_to(main: Path) -> None:
    (main.parent / "probes.d").chmod(0o1777)
    found = refused(load.load(main))
    assert found.keys() == {"a", "b"}
    assert all("probes.d may be written" in why for why in found.values())


def test_the_configuration_itself(main: Path) -> None:
    """A file cannot vouch for itself."""
    main.write_text(main.read_text() + "insecure_files: true\n")
    main.chmod(0o664)
    assert problem(main) == (
        "config error: stapwatch.yaml: stapwatch.yaml may be written by its group; "
        "chmod g-w stapwatch.yaml; or, for development only, use --insecure-files"
    )
    assert load.load(main, insecure_files=True).insecure_files
    main.chmod(0o644)
    load.load(main)
    drop_in = main.parent / "conf.d/x.yaml"
    drop_in.write_text("log: {level: debug}")
    drop_in.chmod(0o646)
    assert "conf.d/x.yaml may be written by everybody" in problem(main)
    drop_in.chmod(0o644)
    (main.parent / "conf.d").chmod(0o1777)
    assert "conf.d may be written by" in problem(main)


def test_a_library_is_left_out(main: Path) -> None:
    assert load.load(main).library == (main.parent / "library",)
    file = main.parent / "library/x.stp"
    file.write_text("")
    file.chmod(0o666)
    settings = load.load(main)
    assert settings.library == ()
    [warning] = settings.warnings
    assert warning.startswith(f"the library {file.parent} is left out: {file} may be written by")


@pytest.mark.parametrize("folder", ["cache", "run", "state"])
def test_the_agents_own_folders(main: Path, folder: str) -> None:
    """Modules are loaded from there."""
    path = main.parent / folder
    path.mkdir(exist_ok=True)
    path.chmod(0o1777)
    assert problem(main).startswith(
        f"config error: {folder}: {folder} may be written by its group and everybody; chmod g-w,o-w "
    )
    assert problem(main).count("config error") == 1


def test_the_web_configuration_and_its_keys(main: Path) -> None:
    web, key = main.parent / "web.yaml", main.parent / "key.pem"
    web.write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}")
    key.touch()
    main.write_text(main.read_text() + "web_config_file: web.yaml\n")
    assert load.load(main).web.file == web
    key.chmod(0o666)
    assert problem(main).startswith("config error: web.yaml:1:20: key.pem may be written by ")
    key.chmod(0o640)
    web.chmod(0o664)
    assert problem(main).startswith("config error: web.yaml: web.yaml may be written by its group")
    assert load.load(main, insecure_files=True).web.tls is not None
    other = main.parent / "other.yaml"
    other.write_text("rate_limit: {interval: 1s, burst: 2}")
    web_file = load.load(main, web_config_file=other, insecure_files=False).web
    assert web_file.rate_limit is not None and web_file.file == other
