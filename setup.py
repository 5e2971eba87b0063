"""Where the package's parts stand; everything else is in pyproject.toml.

A checkout keeps plugins, configuration and demo client beside the package.
Installed, they are tornado_webrtc.plugins.NAME, tornado_webrtc/conf and
tornado_webrtc/www.
"""

from setuptools import find_namespace_packages, find_packages, setup

PACKAGE = "tornado_webrtc"
# What a server has made beside its configuration, secrets among it, is in no package.
DATA = {"conf": ["server.*", "skeleton/**/*"], "www": ["**/*"]}

core = find_packages(include=[PACKAGE, f"{PACKAGE}.*"])
plugins = find_namespace_packages("plugins", exclude=["*__pycache__*"])
top = sorted({name.partition(".")[0] for name in plugins})

setup(
    packages=[
        *core,
        *(f"{PACKAGE}.plugins.{name}" for name in plugins),
        *(f"{PACKAGE}.{name}" for name in DATA),
    ],
    package_dir={
        **{f"{PACKAGE}.plugins.{name}": f"plugins/{name}" for name in top},
        **{f"{PACKAGE}.{name}": name for name in DATA},
    },
    package_data={
        PACKAGE: ["py.typed"],
        **{f"{PACKAGE}.plugins.{name}": ["**/*"] for name in top},
        **{f"{PACKAGE}.{name}": patterns for name, patterns in DATA.items()},
    },
    include_package_data=False,
    zip_safe=False,
)
