"""`replybench console`: start the console alone."""

import socket
from importlib.resources import files
from typing import Annotated, Any

import typer

from replybench.errors import Unavailable


def command(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines too.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
) -> None:
    """Start the console. The backend's address is BACKEND_URL; Ctrl-C ends it."""
    _refuse_taken_port(host, port)
    try:
        from streamlit import config
        from streamlit.web import bootstrap
    except ImportError as error:
        raise Unavailable("The console is not installed. Run: pip install 'replybench[console]'.") from error

    from console.settings import console_settings
    from console.sign_in import check_address

    settings = console_settings()  # a wrong setting is told here, not on the first page
    check_address(host, settings)
    if settings.oidc_file is None:
        print(f"Local mode: nobody has to sign in; people are who they say. Listening on {host} only.", flush=True)
    script = str(files("console") / "app.py")
    config._main_script_path = script  # as `streamlit run` does: the theme lies beside the script
    flags: dict[str, Any] = {"server_address": host, "server_port": port, "server_headless": True}
    if settings.oidc_file is not None:
        flags["secrets_files"] = [str(settings.oidc_file)]
    bootstrap.load_config_options(flag_options=flags)
    bootstrap.run(script, False, [], flags)


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"The console cannot listen on {host}:{port} ({error.strerror}). "
                "Another program may be using it: choose another with --port."
            ) from error
