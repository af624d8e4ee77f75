"""The EEV data set's format and protocol: identifiers, annotations, correlation (eq. 4), submission."""
