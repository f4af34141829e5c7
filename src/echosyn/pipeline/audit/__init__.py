"""The parts of an audit: what was found in the videos, how strong the check is, what attacks achieve, what is said of it."""
