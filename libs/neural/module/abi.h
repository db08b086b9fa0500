/* The C interface of libvedette_neural.so: all that crosses it are plain structs, pointers and numbers, so that the module
 * and the program may be built with different standards, compilers and builds of Torch.
 *
 * Rules: the caller owns every buffer and sets struct_size = sizeof the struct it knows; a new field goes to the end of its
 * struct and counts as zero for a caller whose struct_size does not reach it; anything else raises the version. No
 * exception and no signal crosses. Functions are thread-safe; fits run side by side. Return codes are gRPC's numbers. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VEDETTE_NEURAL_ABI_VERSION 2u
#define VEDETTE_NEURAL_ENTRY "vedette_neural_api"

enum VedetteNeuralCode {
  VEDETTE_NEURAL_OK = 0,
  VEDETTE_NEURAL_CANCELLED = 1,           /* the stop callback said so */
  VEDETTE_NEURAL_INVALID_ARGUMENT = 3,
  VEDETTE_NEURAL_RESOURCE_EXHAUSTED = 8,  /* memory of the host or of the device */
  VEDETTE_NEURAL_FAILED_PRECONDITION = 9, /* the asked device is not there */
  VEDETTE_NEURAL_INTERNAL = 13
};

enum VedetteNeuralDeviceKind {
  VEDETTE_NEURAL_AUTO = 0, /* CUDA device `device_index` when there is one, else the CPU */
  VEDETTE_NEURAL_CPU = 1,
  VEDETTE_NEURAL_CUDA = 2
};

typedef struct VedetteNeuralDevice {
  int32_t kind;  /* VEDETTE_NEURAL_CPU or VEDETTE_NEURAL_CUDA */
  int32_t index;
} VedetteNeuralDevice;

/* Trains a dense network (ReLU after every layer but the last) to reproduce its inputs: mean squared error, Adam.
 * Parameters: for each layer its weights [out][in], then its biases [out]. */
typedef struct VedetteNeuralTraining {
  uint32_t struct_size;
  int32_t device_kind;  /* VedetteNeuralDeviceKind */
  int32_t device_index;
  int32_t size_count;          /* entries of `sizes`, at least 2 */
  const int32_t* sizes;        /* widths from input to output, first == last, each >= 1 */
  const float* inputs;         /* (training_rows + validation_rows) x sizes[0], row-major, finite; training rows first */
  int64_t training_rows;       /* >= 1 */
  int64_t validation_rows;     /* >= 0; 0 means no early stop, and the last weights are kept */
  int64_t batch_size;          /* >= 1 */
  int32_t epochs;              /* >= 1 */
  int32_t patience;            /* stop after so many epochs without a lower validation loss; 0 = never */
  double learning_rate;        /* > 0 */
  uint64_t seed;               /* order of the rows: epoch e (from 0) shuffles by vedette::Rng(seed, 2 + e) */
  float* parameters;           /* in: where to start; out: weights of the best epoch. Untouched on error */
  int64_t parameter_count;
  double* training_losses;     /* `epochs` long, or null */
  double* validation_losses;   /* `epochs` long, or null */
  int32_t (*stop)(void* user); /* asked before every batch; not 0 = stop; may be null */
  void (*progress)(void* user, double share); /* after every epoch, 0..1; may be null */
  void* user;
} VedetteNeuralTraining;

typedef struct VedetteNeuralResult {
  uint32_t struct_size;
  int32_t epochs;          /* that were run */
  int32_t best_epoch;      /* from 0: the one whose weights were kept */
  double training_loss;    /* of that epoch: mean over its batches, while the weights moved */
  double validation_loss;  /* of that epoch, NaN without validation rows */
  VedetteNeuralDevice device;
  char error[512];         /* zero-terminated, empty when OK */
} VedetteNeuralResult;

/* What `learn` minimises. In brackets the networks in their order and `options`; every loss is a mean over a batch. */
enum VedetteNeuralObjectiveKind {
  VEDETTE_NEURAL_VAE = 0,     /* encoder to means and log variances, decoder. [weight of the divergence] */
  VEDETTE_NEURAL_SVDD = 1,    /* encoder; targets = the centre, one number an output. [] */
  VEDETTE_NEURAL_AE1SVM = 2,  /* encoder, decoder, phases (fixed), plane. [weight of the reconstruction, nu] */
  VEDETTE_NEURAL_SQUARES = 3, /* network to one number; targets = one a row. [] */
  VEDETTE_NEURAL_DEVNET = 4,  /* network to one number; targets = 1 for an anomaly, else 0. [margin, steps an epoch] */
  VEDETTE_NEURAL_GAAL = 5,    /* discriminator, generators. [epochs after which generators rest, their learning rate] */
  VEDETTE_NEURAL_GAN = 6,     /* generator, features of the discriminator, its head. [steps, then it is over; 0: all epochs] */
  VEDETTE_NEURAL_ALAD = 7,    /* encoder, generator, row-code critic, row-row features, their head, code-code critic.
                                 [steps, then it is over; 0: all epochs; share of the learning rate at the end; 0: 1] */
  VEDETTE_NEURAL_LUNAR = 8    /* distances to their weights, weighted mean to target (1 - 1); targets = one a row. [] */
};

enum VedetteNeuralActivation {
  VEDETTE_NEURAL_LINEAR = 0,
  VEDETTE_NEURAL_RELU = 1,
  VEDETTE_NEURAL_TANH = 2,
  VEDETTE_NEURAL_SIGMOID = 3
};

typedef struct VedetteNeuralNetwork {
  const int32_t* sizes;   /* from input to output */
  int32_t size_count;     /* at least 2 */
  int32_t hidden, output; /* VedetteNeuralActivation after the inner layers, after the last */
  int32_t use_bias;       /* 0: biases stay as they are */
  int32_t fixed;          /* 1: nothing of it is learnt */
  float* parameters;      /* in: where to start; out: what was learnt. Untouched on error */
  int64_t parameter_count;
} VedetteNeuralNetwork;

typedef struct VedetteNeuralObjective {
  uint32_t struct_size;
  int32_t device_kind;
  int32_t device_index;
  int32_t kind; /* VedetteNeuralObjectiveKind */
  VedetteNeuralNetwork* networks;
  int32_t network_count;
  int32_t epochs; /* >= 1 */
  const float* inputs; /* rows x width, row-major, finite */
  int64_t rows, width;
  const float* targets; /* see the kind; may be null */
  int64_t target_count;
  int64_t batch_size;
  double learning_rate, weight_decay;
  double options[4];
  uint64_t seed; /* epoch e shuffles by vedette::Rng(seed, 2 + e), noise comes from Rng(seed, 1) */
  int32_t (*stop)(void* user);                /* asked before every batch; may be null */
  void (*progress)(void* user, double share); /* after every epoch; may be null */
  void* user;
} VedetteNeuralObjective;

typedef struct VedetteNeuralApi {
  uint32_t version;
  uint32_t struct_size;
  const char* build; /* "LibTorch 1.13.1, CUDA no"; lives for ever */
  /* Writes up to `capacity` devices, the CPU first, and returns how many there are. */
  int32_t (*devices)(VedetteNeuralDevice* out, int32_t capacity);
  int32_t (*train)(const VedetteNeuralTraining* training, VedetteNeuralResult* result);
  int32_t (*learn)(const VedetteNeuralObjective* objective, VedetteNeuralResult* result);
} VedetteNeuralApi;

/* The one exported function. Null when this module does not speak `version`. */
typedef const VedetteNeuralApi* (*VedetteNeuralEntry)(uint32_t version);

#ifdef __cplusplus
} /* extern "C" */
#endif
