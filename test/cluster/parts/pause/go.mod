module sonoma-storage/test/cluster/parts/pause

go 1.24
