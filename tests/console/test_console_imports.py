"""The console's image is small: its pages load neither models nor the database."""

import subprocess
import sys
from importlib.resources import files


def test_no_page_loads_models_database_or_backend() -> None:
    names = sorted(
        path.name.removesuffix(".py")
        for path in (files("console") / "app_pages").iterdir()
        if path.name.endswith(".py")
    )
    modules = [f"console.app_pages.{name}" for name in names if name != "__init__"]
    assert "console.app_pages.rate" in modules
    program = (
        f"import sys, {', '.join(modules)}\n"
        "heavy = {name.split('.')[0] for name in sys.modules} & "
        "{'torch', 'transformers', 'peft', 'db', 'sqlalchemy', 'backend', 'training', 'fastapi'}\n"
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-500:]
