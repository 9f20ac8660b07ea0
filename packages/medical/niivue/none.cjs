// Stands for zarrita, which reads Zarr from a network.
module.exports = {};
