"""`gtag genres`: the genres of the models, what a genre map does, and maps from beets' trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tagger.cli.names import Group
from tagger.system.errors import ExitStatus

if TYPE_CHECKING:
    from tagger.deciding.genre_map import GenreMap


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--genre-map",
    type=click.Path(),
    metavar="FILE.toml",
    help="Show what this genre map does to each.",
)
@click.pass_context
def genres(context: click.Context, *, genre_map: str | None) -> ExitStatus:
    """List the genres and styles that models know."""
    if context.invoked_subcommand is not None:
        return ExitStatus.OK
    from tagger.cli.console import Column, cell, console, plain_table
    from tagger.deciding.genre_map import GenreMap, names_of_models, read_genre_map

    names, mapping = names_of_models(), GenreMap()
    if genre_map:
        known = (name for genre, styles in names.items() for name in (genre, *styles))
        mapping = read_genre_map(genre_map, known)
    table = plain_table(Column("Genre or style", style="bold"))
    if genre_map:
        table.add_column("Is written as")
    for genre, styles in names.items():
        for name in (genre, *styles):
            row = [cell(f"  {name}" if name in styles else name)]
            if genre_map:
                row.append(cell(_written(mapping, name, genre)))
            table.add_row(*row)
    console().print(table)
    click.echo("\nStyles are named with gtag scan --detail style, or beside their genre: both.")
    return ExitStatus.OK


def _written(mapping: GenreMap, name: str, genre: str) -> str:
    said = mapping(name)
    if said is None:
        return "not at all" if name == genre or mapping(genre) is None else "its genre"
    return said


@genres.command("import")
@click.argument("tree", metavar="TREE.yaml", type=click.Path())
def import_(*, tree: str) -> ExitStatus:
    """Convert a genre tree of beets to a genre map.

    It replaces each genre with its topmost parent or, with a list of genres in "only", with the
    nearest of those.
    """
    from tagger.deciding.genre_map import map_of_tree

    made = map_of_tree(tree)
    click.echo(
        "# Each genre becomes its topmost parent, or the nearest one that is in this list:\n"
        '# only = ["Blues", "Classical", "Country", "Disco", "Electronic", "Hip-Hop", "Jazz"]\n'
    )
    click.echo(made, nl=False)
    return ExitStatus.OK
