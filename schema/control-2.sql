-- What version 2 of the control file has beyond version 1 (control.sql). Run on a new file after
-- control.sql, and on one of version 1 when a writer opens it: it only adds.

PRAGMA user_version = 2;
