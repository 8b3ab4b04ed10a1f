"""`dicomweb-server protect`: patients that must stay."""

from __future__ import annotations

from pathlib import Path

import click

from dicomweb_server.cli.shared import opened
from dicomweb_server.dicom import orthanc_ids


@click.command()
@click.argument("patient_id", metavar="PATIENT-ID")
@click.option("--off", is_flag=True, help="The patient may be deleted again.")
@click.pass_obj
def protect(config: Path | None, patient_id: str, off: bool) -> None:
    """Keep a patient when MaximumStorageSize or MaximumPatientCount is reached."""
    with opened(config) as context:
        key = orthanc_ids(patient_id, "", "", "").patient
        if not context.services.protection.protect(key, on=not off):
            raise click.ClickException(f"the archive has no patient {patient_id!r}")
    click.echo(f"The patient {patient_id} is {'no longer ' if off else ''}protected.")
