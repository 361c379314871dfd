module localcluster/support

go 1.24
