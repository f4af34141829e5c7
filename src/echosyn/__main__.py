"""``python -m echosyn``, which launchers such as ``accelerate launch -m echosyn`` start."""

from echosyn.apps.cli import main

if __name__ == "__main__":
    main()
