// Empty in the test double of CUDA: Caffe includes this and uses nothing of it.
// Code that does use Thrust fails to compile; the double cannot show it.
