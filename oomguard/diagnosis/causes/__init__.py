"""Why a kill happened: facts to causes; pure."""
