"""The migrations make exactly the schema that the models describe."""

from alembic import command
from sqlalchemy import Engine, inspect

from db.migrate import check, config, upgrade


def test_models_and_migrated_schema_agree(db_engine: Engine) -> None:
    check(db_engine)


def test_upgrade_twice_changes_nothing(db_engine: Engine) -> None:
    upgrade(db_engine)
    check(db_engine)


def test_down_and_up_again(db_engine: Engine) -> None:
    alembic = config()
    with db_engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, "base")
    assert inspect(db_engine).get_table_names() == ["alembic_version"]
    upgrade(db_engine)
    check(db_engine)
