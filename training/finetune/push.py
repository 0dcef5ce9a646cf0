"""A run's adapter and card to a repository on the Hugging Face Hub."""

from training.finetune.models import hub_errors_told
from training.finetune.register import finished_result
from training.finetune.run_folder import RunFolder
from training.settings import TrainingSettings


def push(folder: RunFolder, repository: str, settings: TrainingSettings, *, public: bool = False) -> str:
    """Upload a finished run's result, card, recipe, data-set counts and losses in one commit; return its address.

    The repository is made if it is not there, private unless `public`. No text of a customer is in what is uploaded:
    the card and dataset.json hold counts and figures alone.

    Raises:
        Conflict: the run has not finished.
        ReplybenchError: the Hub refuses or cannot be reached, in a sentence.
    """
    from huggingface_hub import HfApi

    recipe, result = finished_result(folder)
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    hub = HfApi(endpoint=settings.hf_endpoint, token=token)
    with hub_errors_told(repository):
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=result,
            commit_message=f"Add the {recipe.method} result of the run {folder.name}",
        )
    return str(commit.commit_url)
