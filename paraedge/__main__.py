"""`python -m paraedge` is `paraedge`."""

from paraedge.cli import main

if __name__ == "__main__":
    main()
